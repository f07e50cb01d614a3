# The connector, a source and an hourly connection in a self-hosted Airbyte.
terraform {
  required_providers {
    airbyte = {
      source  = "airbytehq/airbyte"
      version = "~> 1.0"
    }
  }
}

variable "airbyte_url" {
  description = "URL of Airbyte's API, for example http://localhost:8000/api/public/v1/"
  type        = string
}

variable "airbyte_client_id" {
  type = string
}

variable "airbyte_client_secret" {
  type      = string
  sensitive = true
}

variable "workspace_id" {
  type = string
}

variable "destination_id" {
  description = "An existing destination"
  type        = string
}

variable "incident_api_key" {
  type      = string
  sensitive = true
}

locals {
  settings = {
    api_key    = var.incident_api_key
    start_date = "2024-01-01T00:00:00Z"
  }
}

provider "airbyte" {
  server_url    = var.airbyte_url
  client_id     = var.airbyte_client_id
  client_secret = var.airbyte_client_secret
}

resource "airbyte_source_definition" "incident" {
  workspace_id      = var.workspace_id
  name              = "incident.io"
  docker_repository = "registry.example.com/tap-incident"
  docker_image_tag  = "0.1.0"
}

resource "airbyte_source" "incident" {
  workspace_id  = var.workspace_id
  name          = "incident.io"
  definition_id = airbyte_source_definition.incident.id
  configuration = jsonencode(local.settings)
}

resource "airbyte_connection" "incident" {
  name           = "incident.io"
  source_id      = airbyte_source.incident.source_id
  destination_id = var.destination_id
  schedule = {
    schedule_type   = "cron"
    cron_expression = "0 17 * * * ?"
  }
  configurations = {
    streams = [
      { name = "incidents", sync_mode = "incremental_deduped_history" },
      { name = "follow_ups", sync_mode = "incremental_deduped_history" },
      { name = "severities", sync_mode = "full_refresh_overwrite" },
    ]
  }
}
