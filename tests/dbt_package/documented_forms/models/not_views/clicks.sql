select * from {{ ref('raw_clicks') }}
