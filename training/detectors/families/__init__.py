"""One module for each detector family, with `build`, `RECIPE` and `WEIGHTS`. Nothing else lists them."""
