"""What runs say side by side: tables, figures, intervals."""
