{{ config(materialized='ephemeral') }}
select * from {{ ref('labels') }}
