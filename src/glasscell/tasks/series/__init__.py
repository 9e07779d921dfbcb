"""Time series: from a CSV file to forecasts, and what they are worth."""
