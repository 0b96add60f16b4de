"""Execute the notebook and store it in the repository's form: without outputs except the two result pictures.

    python notebooks/run.py

It needs `pip install -r requirements/notebook.txt`, and runs in the project's folder: results go to output/quick/.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import nbformat
from nbclient import NotebookClient

from common import command

NOTEBOOK = Path(__file__).with_name("srgan.ipynb")
RESULT = "result"  # the tag of a cell whose picture is stored
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(notebook, folder) -> None:
    """Run all cells in `folder`, the kernel's working directory. Raises nbclient's CellExecutionError."""
    NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()


def strip(notebook):
    """The notebook in its stored form: the only outputs are the pictures of the cells tagged `result`."""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        cell.pop("id", None)  # belongs to format 4.5, which older Jupyters cannot read
        if cell.cell_type == "code":
            shown = [output.data for output in cell.outputs if "image/jpeg" in output.get("data", {})]
            pictures = [{kind: data[kind] for kind in ("image/jpeg", "text/plain")} for data in shown]
            cell.outputs = [nbformat.v4.new_output("display_data", data) for data in pictures if RESULT in tags]
            cell.execution_count = None
    notebook.metadata = METADATA
    notebook.nbformat, notebook.nbformat_minor = 4, 4
    return notebook


def main(_) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    execute(notebook, NOTEBOOK.parent)
    nbformat.write(strip(notebook), NOTEBOOK)
    print(f"{NOTEBOOK}: executed, stored in {NOTEBOOK.stat().st_size:,} bytes")


if __name__ == "__main__":
    command.run(command.parser(__doc__).parse_args(), main)
