"""One module for each resource, with a `router`. `api.app` lists them."""
