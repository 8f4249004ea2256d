-- Applications may sign with SM2 over SM3.
ALTER TABLE exchange.application DROP CONSTRAINT application_algorithm_check;
ALTER TABLE exchange.application ADD CONSTRAINT application_algorithm_check
    CHECK (algorithm IN ('ed25519', 'ecdsa-p256-sha256', 'sm2-sm3'));
