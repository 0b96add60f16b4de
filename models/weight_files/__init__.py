"""Weight files: read safely, written whole; pickles, the article's folders, VGG19's forms, the shipped ones."""
