"""Sets the programs up and runs them together: what scripts/start, scripts/test and scripts/check stand on."""
