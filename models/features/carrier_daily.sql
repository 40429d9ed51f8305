with landings as (

    select
        carrier,
        cast(landed_at as date) as landed_on,
        departure_delay,
        arrival_delay,
        distance_miles,
        case when arrival_delay >= 15 then 1 else 0 end as was_late
    from {{ ref('stg_flights') }}
    where landed_at is not null

),

days as (

    select
        carrier,
        landed_on,
        count(*) as landings_1d,
        sum(departure_delay) as departure_delay_1d,
        sum(arrival_delay) as arrival_delay_1d,
        max(arrival_delay) as worst_arrival_delay_1d,
        avg(was_late) as late_share_1d,
        sum(distance_miles) as miles_1d
    from landings
    group by carrier, landed_on

)

-- A mean is a sum of integers through their number: that is the same to the last digit on every warehouse, and `avg` is not.
select
    days.carrier,
    days.landed_on,
    cast(airlines.name as {{ dbt.type_string() }}) as carrier_name,
    cast(days.landings_1d as integer) as landings_1d,
    cast(days.departure_delay_1d as {{ featurestore.type_double() }}) / days.landings_1d as mean_departure_delay_1d,
    cast(days.arrival_delay_1d as {{ featurestore.type_double() }}) / days.landings_1d as mean_arrival_delay_1d,
    days.worst_arrival_delay_1d,
    {{ featurestore.to_decimal('days.late_share_1d', 5, 4) }} as late_share_1d,
    cast(days.miles_1d as bigint) as miles_1d
from days
left join {{ ref('airlines') }} as airlines
    on days.carrier = airlines.carrier
