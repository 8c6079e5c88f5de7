"""The picture of an inspection: the product, with everything framed that decided its verdict."""
