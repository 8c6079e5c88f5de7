"""The file formats of labelled images: one module per format, each an `annotations.Format`."""
