-- A carrier's days hold all landings that are known, and none twice; so do the planes' records, but for planes without a tail number.
select landed, counted_by_day, counted_by_plane
from (
    select
        (select count(*) from {{ ref('stg_flights') }} where landed_at is not null) as landed,
        (select sum(landings_1d) from {{ ref('carrier_daily') }}) as counted_by_day,
        (select count(*) from {{ ref('plane_record') }}) as counted_by_plane
) as counts
where landed <> counted_by_day or counted_by_plane > landed
