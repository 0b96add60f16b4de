"""A page in the browser: drop a photo, upscale it, compare, download the PNG.

    pip install -r requirements/app.txt                     # Gradio; Python 3.10 or later
    python infer/app.py                                     # with srgan, srresnet and those in output/
    python infer/app.py --weights output/srgan_g.pdparams output/pretrain_g.pdparams --port 8080

The page is at http://127.0.0.1:7860, for this machine only. It knows no passwords and no limit on a visitor's uploads:
open it to a network with `--host` behind a proxy that does. It answers to this machine's names and addresses; list any
other host name with `--names`. Pictures are upscaled one after the other; waiting visitors see the queue. The PNG is
the one that `infer/upscale.py --format png` writes. Uploads and results are removed after an hour, and when the page is
stopped with Ctrl-C.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import contextlib
import html
import multiprocessing
import os
import shutil
import socket
import threading

import numpy as np
import psutil
from PIL import Image

from common import command
from common.errors import InputError
from common.files import temporary_folder
from data.pictures.images import EXTENSIONS, read_rgb, write_rgb
from data.prepare import sample_sources
from infer import generator_flags, worker
from infer.engines import ENGINES
from infer.picture import Options, Size
from models.weight_files.shipped import AUTO, DEFAULT, FOLDER, NAMES, PHOTO, SHIPPED, weights_path

GRADIO = 6  # the least: it introduced the slider and server settings used here
REQUIREMENTS = "requirements/app.txt"
WAITING = 16  # requests; further visitors are told to try later
LOOK_SECONDS, KEEP_SECONDS = 600, 3600
OUTSCALES = (4, 2)  # choices; the first is the default
EXAMPLE_SIDE = 256  # pixels: upscaled in a second or two
BYTES_PER_PIXEL, BYTES_BESIDE = 8, 2**20  # of the largest upload: uncompressed 16-bit RGBA; profile and EXIF
# AI Studio's proxy serves the page under names that are not known beforehand.
AI_STUDIO, AI_STUDIO_NAMES = "/home/aistudio", ["*.baidu.com"]

TITLE = "SRGAN 4×"
WORDS = f"""# {TITLE} 超分辨率 · super-resolution
照片的宽和高各放大到 4 倍或 2 倍 · Photos to 4 times their sides, or twice
(PNG, JPEG, BMP, WebP, TIFF; ≤ {{megapixels}} MP)

`{AUTO}`: 干净的图片用 {DEFAULT}，其他用 {PHOTO} · {DEFAULT} for clean pictures, otherwise {PHOTO}"""


def main(arguments: argparse.Namespace) -> None:
    with command.exit_status(2):
        weights = find_weights(arguments.weights)
        folder = temporary_folder("srgan-page-").resolve()
        try:
            gradio = load_gradio(folder / "files")
            page = build(gradio, arguments, weights, write_examples(folder), folder)
            try:
                serve(gradio, page, arguments, folder / "files")
                threading.Event().wait()
            finally:
                for process in multiprocessing.active_children():
                    process.kill()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def find_weights(given: list) -> dict:
    """{name on the page: absolute path} of the weights on the command line, else of those in the default places.

    Raises InputError if there are none or one does not exist.
    """
    for path in given:
        if not os.path.exists(path):
            raise InputError(f"--weights {path}: no such file or folder; expected {generator_flags.WEIGHTS}")
    if not given:
        names = [f"{folder}{name}.pdparams" for folder in ("", "*/") for name in ("*_g", "*_g_best")]
        trained = [path for name in names for path in Path("output").glob(name)]
        shipped = [path for path in SHIPPED.values() if path.exists()]
        given = shipped + sorted(trained, key=os.path.getmtime, reverse=True) + list(Path("models").glob("g_models/"))
    if not given:
        raise InputError(f"{FOLDER} holds no weights: get them with git checkout -- weights, or give --weights FILE")
    return generator_flags.labels([os.path.abspath(path) for path in given])


def load_gradio(files: Path):
    """The module gradio, which keeps its files in `files` for a while. Raises InputError naming what to install."""
    # Gradio sends usage data unless told not to, and checks its own server through the system's proxy if there is one.
    os.environ.update(GRADIO_TEMP_DIR=str(files), GRADIO_ANALYTICS_ENABLED="False", no_proxy="*")
    try:
        import gradio
    except ImportError as error:
        raise InputError(f"the page needs Gradio and Python 3.10: pip install -r {REQUIREMENTS} ({error})") from error
    if int(gradio.__version__.partition(".")[0]) < GRADIO:
        raise InputError(f"the page needs Gradio {GRADIO}, not {gradio.__version__}: pip install -r {REQUIREMENTS}")
    return gradio


def build(gr, arguments: argparse.Namespace, weights: dict, examples: list, folder: Path):
    """The page. weights: from `find_weights`. examples: paths of pictures. folder: for the results."""
    choices = [AUTO, *weights] if {DEFAULT, PHOTO} <= set(weights) else list(weights)
    on_upscale, on_leave = actions(gr, arguments, weights, folder)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(LOOK_SECONDS, KEEP_SECONDS)) as page:
        gr.Markdown(WORDS.format(megapixels=arguments.max_megapixels))
        with gr.Row():
            with gr.Column(scale=1):
                # Not gr.Image, which would pass on 8-bit RGB instead of the file.
                source = gr.File(label="照片 · Photo", file_types=list(EXTENSIONS), height=140, elem_id="photo")
                if examples:
                    shown = gr.Dataset(
                        label="或取一例 · or take an example",
                        components=[gr.Image(visible=False)],
                        samples=[[str(path)] for path in examples],
                        type="index",
                        elem_id="examples",
                    )
                    shown.click(lambda index: examples[index], shown, source, queue=False, api_visibility="private")
                outscale = gr.Radio(
                    [(f"{factor}×", factor) for factor in OUTSCALES],
                    value=OUTSCALES[0],
                    label="倍数 · Scale",
                    elem_id="outscale",
                )
                name = gr.Dropdown(choices, label="权重 · Weights", elem_id="weights")
                with gr.Accordion("更多设置 · More settings", open=False, elem_id="more"):
                    engine = gr.Dropdown(
                        ["auto", *ENGINES], value=arguments.engine, label="引擎 · Engine", elem_id="engine"
                    )
                    blend = gr.Dropdown(
                        [("无 · none", ""), *((label, label) for label in weights)],
                        value="",
                        label="混入 · Blend in",
                        elem_id="blend",
                    )
                    alpha = gr.Slider(0, 1, 0.5, step=0.05, label="比例 · Share", elem_id="alpha")
                go = gr.Button("放大 · Upscale", variant="primary", elem_id="go")
            with gr.Column(scale=2):
                compare = gr.ImageSlider(
                    label="左：双三次，右：SRGAN；滚轮放大 · left: bicubic, right: SRGAN; zoom with the wheel",
                    interactive=False,
                    buttons=["fullscreen"],
                    max_height=640,
                    elem_id="compare",
                )
                report = gr.Markdown(elem_id="report")
                download = gr.DownloadButton("下载 PNG · Download the PNG", interactive=False, elem_id="download")
        go.click(
            on_upscale,
            [source, outscale, name, blend, alpha, engine],
            [compare, report, download],
            show_progress_on=compare,
            concurrency_limit=1,
            api_name="upscale",
            api_visibility="private",
        )
        page.unload(on_leave)
    return page


def actions(gr, arguments: argparse.Namespace, weights: dict, folder: Path) -> tuple:
    """The functions that are called when a visitor presses the button, and when one leaves."""
    gone = set()  # the sessions of visitors who left

    def on_upscale(source, outscale, name, blend, alpha, engine, request: gr.Request, progress=gr.Progress()):  # noqa: B008
        if source is None:
            raise gr.Error("请先选择照片。 · Choose a photo first.", print_exception=False)

        def show(share):
            if request.session_hash in gone:
                raise InputError("the visitor has left")
            progress(share, desc="放大 · upscaling" if share else "载入网络 · loading the network")

        settings = {
            **generator_flags.engine_settings(arguments),
            "engine": engine,
            "weights": AUTO if name == AUTO else weights[name],
            "blend": weights[blend] if blend else "",
            "alpha": alpha,
        }
        options = Options(Size("outscale", outscale), arguments.max_megapixels * 10**6)
        # Gradio has copied the results before; only one picture is computed at a time.
        shutil.rmtree(folder / "result", ignore_errors=True)
        try:
            result = worker.upscale_in_process(source, folder / "result", settings, options, show)
        except (InputError, OSError) as error:
            message = f"未能放大 · Not upscaled: {html.escape(command.words(error), quote=False)}"
            raise gr.Error(message, duration=None, print_exception=False) from error
        ready = gr.DownloadButton(value=result.target, interactive=True, variant="primary")
        return (result.before, result.after), result.report, ready

    def on_leave(request: gr.Request):
        gone.add(request.session_hash)

    return on_upscale, on_leave


def write_examples(folder: Path) -> list:
    """Write small example photographs to `folder`; return their paths, none if the packages lack them."""
    try:
        sources = sample_sources()
    except InputError as error:
        print(f"no examples: {error}", file=sys.stderr)
        return []
    paths = []
    for source in sources:
        image = Image.fromarray(read_rgb(source))
        image.thumbnail((EXAMPLE_SIDE, EXAMPLE_SIDE))
        paths.append(str(folder / f"{source.stem}.png"))
        write_rgb(paths[-1], np.asarray(image))
    return paths


def serve(gradio, page, arguments: argparse.Namespace, files: Path) -> None:
    """Start serving the page, which keeps its files in `files`.

    Raises InputError if no server can listen at that host and port.
    """
    from starlette.middleware import Middleware  # Gradio's own server
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import PlainTextResponse

    def no_room(request, error):
        for path in files.glob("tmp*"):  # broken off: Gradio removes only whole uploads
            with contextlib.suppress(OSError):
                path.unlink()
        return PlainTextResponse(f"网页没有空间了。 · The page has no room: {error.strerror}", 507)

    # Not open: direct POST requests would bypass the queue and be computed all at once.
    page.queue(max_size=WAITING, default_concurrency_limit=1, api_open=False)
    # Gradio answers to any name: a site could make its own name lead here, and read what visitors upload.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=own_hosts(arguments), www_redirect=False)
    try:
        page.launch(
            server_name=arguments.host,
            server_port=arguments.port,
            share=False,
            inline=False,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size=arguments.max_megapixels * 10**6 * BYTES_PER_PIXEL + BYTES_BESIDE,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            ssr_mode=False,
            pwa=False,
            app_kwargs={"middleware": [hosts], "exception_handlers": {OSError: no_room}, "openapi_url": None},
            theme=gradio.themes.Default(font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")),
        )
    except OSError as error:
        raise InputError(
            f"--host {arguments.host} --port {arguments.port}: nothing can listen there; give another --port, or one "
            "of this machine's addresses as --host"
        ) from error
    print(f"http://{arguments.host}:{arguments.port}", flush=True)


def own_hosts(arguments: argparse.Namespace) -> list:
    """The host names and addresses to which the page answers."""
    name = socket.gethostname()
    addresses = [each.address for interface in psutil.net_if_addrs().values() for each in interface]
    return ["localhost", arguments.host, name, f"{name}.local", *addresses, *arguments.names]  # .local: mDNS


def parser() -> argparse.ArgumentParser:
    result = command.parser(__doc__)
    result.add_argument(
        "--weights",
        metavar=generator_flags.METAVAR,
        nargs="+",
        type=weights_path,
        default=[],
        help=f"weights to offer, each {generator_flags.WEIGHTS} "
        f"(default: {NAMES}, *_g.pdparams and *_g_best.pdparams in "
        "output/ and its folders, models/g_models)",
    )
    result.add_argument(
        "--host",
        metavar="NAME",
        default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        help="the address to listen on (default: $GRADIO_SERVER_NAME, or 127.0.0.1, reachable from this machine only)",
    )
    result.add_argument(
        "--names",
        metavar="NAME",
        nargs="+",
        default=AI_STUDIO_NAMES if Path(AI_STUDIO).is_dir() else [],
        help="host names under which a proxy or a name server offers the page; *.example.com matches every subdomain "
        f"(default: none; on AI Studio {' '.join(AI_STUDIO_NAMES)})",
    )
    result.add_argument(
        "--port",
        metavar="N",
        type=command.positive,
        default=os.environ.get("GRADIO_SERVER_PORT", "7860"),
        help="the port to listen on (default: $GRADIO_SERVER_PORT, or 7860)",
    )
    generator_flags.add_size_flag(result, megapixels=16)
    generator_flags.add_engine_flags(result, precision="auto")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
