"""Few verbs; each calls one function and prints what it returns."""
