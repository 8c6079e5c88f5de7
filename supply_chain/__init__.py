"""What the product is made of: the locked requirements, their advisories, and a bill of materials."""
