"""tap-incident / source-incident: moves an organisation's incident.io data into its warehouse."""
