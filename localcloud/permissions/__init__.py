"""IAM in the local cloud: what AWS wants of the role behind each call, and what is recorded of it.

MiniStack checks the caller of a signed request. Here is what it leaves out: the roles that AWS's services act as, and
the permissions that an action needs besides its own.
"""
