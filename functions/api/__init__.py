"""The HTTP API: who is asking, what may be asked, and the routes by resource."""
