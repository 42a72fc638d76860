package dev.zeusd.server.http;

import dev.zeusd.bench.PieceBenchmark;
import io.helidon.common.uri.UriQuery;
import io.helidon.webserver.http.ServerRequest;
import java.lang.reflect.Proxy;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.infra.Blackhole;

/** The parameters of a request, from the raw query to their values. */
@State(Scope.Thread)
public class QueryBenchmark extends PieceBenchmark {
  private static final String IDS = "gpu_ids";
  private static final String LIMIT = "power_limit_mw";
  private static final String BLOCK = "block";

  private final Set<String> known = Set.of(IDS, LIMIT, BLOCK);
  private final Collection<Integer> gpus = List.of(0, 1, 2, 3);
  private final ServerRequest one = request("gpu_ids=0,1");
  private final ServerRequest three = request("gpu_ids=0,1,2,3&power_limit_mw=250000&block=true");

  /** A request that has nothing but a query. */
  private static ServerRequest request(String query) {
    UriQuery parsed = UriQuery.create(query);
    return (ServerRequest)
        Proxy.newProxyInstance(
            ServerRequest.class.getClassLoader(),
            new Class<?>[] {ServerRequest.class},
            (proxy, method, arguments) -> {
              if (!method.getName().equals("query")) {
                throw new UnsupportedOperationException(method.getName());
              }
              return parsed;
            });
  }

  /** The parameter that reads have. */
  @Benchmark
  public Collection<Integer> gpuIds() {
    return Query.of(one, known).idsOrAll(IDS, gpus, gpus);
  }

  /** The parameters of set_power_limit. */
  @Benchmark
  public void setPowerLimit(Blackhole values) {
    Query query = Query.of(three, known);
    values.consume(query.ids(IDS, gpus));
    values.consume(query.u32(LIMIT));
    values.consume(query.bool(BLOCK));
  }
}
