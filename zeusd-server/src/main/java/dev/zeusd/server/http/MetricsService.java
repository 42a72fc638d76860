package dev.zeusd.server.http;

import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.metrics.Metrics;
import dev.zeusd.server.metrics.TextFormat;
import io.helidon.http.HeaderName;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** What Prometheus scrapes: of each group what the request may read; of the daemon, always. */
public final class MetricsService {
  private static final String NAMES = "names";
  private static final HeaderName SCRAPE_TIMEOUT =
      HeaderNames.create("X-Prometheus-Scrape-Timeout-Seconds");

  /** What a device may take to answer. */
  private static final double PATIENCE_SECONDS = 2;

  /** What a scrape needs besides, of the time that its client has for it. */
  private static final double MARGIN_SECONDS = 0.2;

  private final Metrics metrics;

  /** Tells {@code metrics}. */
  public MetricsService(Metrics metrics) {
    this.metrics = metrics;
  }

  /** Registers the endpoint. */
  public void addTo(Routes routes) {
    routes.getByRights("/metrics", this::scrape);
  }

  private void scrape(
      ServerRequest request, ServerResponse response, Requester requester, Set<ApiGroup> groups) {
    long startNanos = System.nanoTime();
    Query query = Query.of(request, Set.of(NAMES));
    boolean dcgm = query.optional(NAMES).map(text -> isDcgm(query, text)).orElse(false);
    TextFormat format = TextFormat.of(request.headers().all(HeaderNames.ACCEPT, List::of));
    long deadlineNanos = startNanos + patienceNanos(request);
    byte[] text =
        metrics.scrape(
            new Metrics.Question(groups, requester.rights(), dcgm, format, deadlineNanos));
    response.header(HeaderValues.create(HeaderNames.CONTENT_TYPE, format.contentType()));
    Routes.send(request, response, text);
  }

  private static boolean isDcgm(Query query, String text) {
    if (text.equals("dcgm")) {
      return true;
    }
    throw query.malformed(NAMES, "is not dcgm");
  }

  /** Prometheus says how long it waits; what comes later is lost with all the rest. */
  private static long patienceNanos(ServerRequest request) {
    double seconds = PATIENCE_SECONDS;
    try {
      double clients = Double.parseDouble(request.headers().first(SCRAPE_TIMEOUT).orElse(""));
      if (clients > 0) {
        // Half of it, where there is no time for the margin: healthy devices need far less.
        double devices = Math.max(clients - MARGIN_SECONDS, clients / 2);
        seconds = Math.min(PATIENCE_SECONDS, devices);
      }
    } catch (NumberFormatException e) {
      // It does not say.
    }
    return (long) (seconds * TimeUnit.SECONDS.toNanos(1));
  }
}
