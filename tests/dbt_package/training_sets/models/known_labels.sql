{{ config(event_time='event_timestamp') }}
select * from {{ ref('labels') }} where event_timestamp is not null
