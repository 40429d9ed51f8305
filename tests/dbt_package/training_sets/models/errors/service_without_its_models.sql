{{ featurestore.point_in_time_join(spine=ref('labels'), service='churn_model', full_feature_names=true) }}
