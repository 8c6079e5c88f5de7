"""The file formats of labelled images: one module each, with `find` and `read`."""
