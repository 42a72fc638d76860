package dev.zeusd.server.connection;

import io.helidon.http.Header;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import java.time.Duration;

/** Refusals that say when to come back. */
public final class TryLater {
  private TryLater() {}

  /** One whose connection stays open. */
  public static HttpException refusal(Status status, String message, Duration after) {
    HttpException e = new HttpException(message, status, true);
    e.header(header(after));
    return e;
  }

  /** The header that says so, in whole seconds. */
  public static Header header(Duration after) {
    return HeaderValues.create(HeaderNames.RETRY_AFTER, (int) after.toSeconds());
  }
}
