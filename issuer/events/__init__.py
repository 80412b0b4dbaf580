"""What the city is told: events written with what they tell about, and delivered as signed webhooks."""
