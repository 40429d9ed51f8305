select * from {{ ref('source_rows') }}
