"""Is the forecast of the next jump right? Runs made for it, the fit of its numbers, its scores."""
