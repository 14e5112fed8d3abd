"""How the geography that is installed with the package is made."""
