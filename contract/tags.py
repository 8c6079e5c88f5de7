"""Labels of a whole image, such as the folder `good`: which of them mean a good product."""

# In lower case and with spaces for hyphens and underscores.
_GOOD = {"normal", "good", "ok", "okay", "pass", "no defect", "no defects", "defect free", "no anomaly"}
_GOOD |= {"good product", "good products", "non defective", "not defective", "undamaged", "no damage"}


def is_good(tag: str) -> bool:
    """Return whether a label of a whole image means a good product.

    >>> is_good("normal"), is_good("No_Defect"), is_good("anomaly"), is_good("not good")
    (True, True, False, False)
    """
    return " ".join(tag.replace("_", " ").replace("-", " ").split()).casefold() in _GOOD
