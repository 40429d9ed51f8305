-- The training set has the rows of departures, as often as they are there, and no others.
{% set columns = 'event_timestamp, tailnum, carrier, origin, flight_number, destination, dep_delay' %}

select {{ columns }}, sum(difference) as too_many
from (
    select {{ columns }}, 1 as difference from {{ ref('departures_training_set') }}
    union all
    select {{ columns }}, -1 as difference from {{ ref('departures') }}
) as both_sides
group by {{ columns }}
having sum(difference) <> 0
