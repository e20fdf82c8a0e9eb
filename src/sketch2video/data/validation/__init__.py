"""What clips and curves are expected to be (Great Expectations, which takes seconds to load)."""
