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
        avg(departure_delay) as mean_departure_delay_1d,
        avg(arrival_delay) as mean_arrival_delay_1d,
        max(arrival_delay) as worst_arrival_delay_1d,
        avg(was_late) as late_share_1d,
        sum(distance_miles) as miles_1d
    from landings
    group by carrier, landed_on

)

select
    days.carrier,
    days.landed_on,
    cast(airlines.name as varchar) as carrier_name,
    cast(days.landings_1d as integer) as landings_1d,
    cast(days.mean_departure_delay_1d as double precision) as mean_departure_delay_1d,
    cast(days.mean_arrival_delay_1d as double precision) as mean_arrival_delay_1d,
    days.worst_arrival_delay_1d,
    cast(days.late_share_1d as decimal(5, 4)) as late_share_1d,
    cast(days.miles_1d as bigint) as miles_1d
from days
left join {{ ref('airlines') }} as airlines
    on days.carrier = airlines.carrier
