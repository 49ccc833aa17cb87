"""From a folder of clips to a cache of windows, by the code that runs live."""
