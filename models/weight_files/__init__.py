"""Weight files, read safely and written atomically: pickles, the article's folders, VGG19's forms, shipped weights."""
