from source_incident.run import run

run()
