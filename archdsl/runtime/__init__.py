"""Run compiled networks: sessions, image preprocessing, quantisation, and a report on the installation."""
