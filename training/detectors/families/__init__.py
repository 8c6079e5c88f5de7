"""One module for each detector family, with `build`, `RECIPE` and `WEIGHTS`.

The name of the module is the name of the family. There is no other list of families.
"""
