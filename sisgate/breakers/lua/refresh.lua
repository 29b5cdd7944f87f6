--- @include "rules"
-- Write the hold anew from the breakers: what was taken as a probe turned out to be none, or the
-- endpoints are others. ARGV: … Returns 1 if the provider is held.

return write_hold()
