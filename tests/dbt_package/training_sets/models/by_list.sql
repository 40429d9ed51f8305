{{ featurestore.point_in_time_join(
    spine=ref('labels'),
    features=['customer_orders:spent_7d', 'customer_profile.v1:segment', 'plan:*', 'partner_rating:*'],
    full_feature_names=true,
) }}
