"""One module a figure of the paper, each with its ``FIGURE``: question, runs, claims, drawing."""
