package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * Whose token it is.
 *
 * @param user its {@code sub} claim
 * @param scopes what it is good for: {@code gpu-read}, {@code gpu-control}, {@code cpu-read},
 *     {@code lease-admin}, and whatever its issuer has put into it for others than the daemon
 * @param expires until when; empty if it does not expire
 */
public record TokenInfo(String user, List<String> scopes, Optional<Instant> expires) {
  /** Keeps a copy. */
  public TokenInfo {
    scopes = List.copyOf(scopes);
  }

  static TokenInfo of(JsonObject json) {
    var exp = Json.optionalLong(json, "exp");
    return Json.understood(
        () ->
            new TokenInfo(
                json.getString("sub"),
                Json.strings(json, "scopes"),
                exp.isPresent()
                    ? Optional.of(Instant.ofEpochSecond(exp.getAsLong()))
                    : Optional.empty()));
  }
}
