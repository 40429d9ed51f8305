select page, clicked_at from {{ ref('clicks') }}
