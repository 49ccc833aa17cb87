"""One file for each verb that trains, evaluates or reports."""
