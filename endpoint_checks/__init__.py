"""What scripts/test_endpoints asks of a running stack: runs where MegaService runs, with its settings and packages."""
