"""The networks of SRGAN and the files their weights come in."""
