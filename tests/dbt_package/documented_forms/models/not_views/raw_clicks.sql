{{ config(materialized='ephemeral') }}

select 1 as click_id
