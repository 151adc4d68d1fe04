"""Numbers as sentences have them."""


def two_digits(value: float) -> str:
    """Two digits of it, without an exponent between 0.0001 and a billion: 1.5, 320, 13,000."""
    if not 100 <= abs(value) < 1e9:
        return f"{value:.2g}"
    return f"{float(f'{value:.2g}'):,.0f}"
