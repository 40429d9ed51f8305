{{ config(materialized='ephemeral') }}
select customer_id, event_timestamp at time zone 'UTC' as asked_at, churned from {{ ref('labels') }}
