"""The service: sweeps submitted, watched and cancelled over HTTP; each driver is a Ray Job."""
