# SPDX-License-Identifier: Apache-2.0
# The mesh test: BEAM nodes and C nodes, each in a network namespace of its own,
# are killed, stopped and parted at random while global names come and go; in
# the end all must agree. Started by test/mesh/run, which says how.

defmodule Mesh do
  @cookie "mesh"
  # Seconds. Short, so that a parted node is lost soon.
  @ticktime 4
  # In the end everything has to be the same within this time.
  @settle_ms 300_000
  # Each release compiles it for itself.
  @agent "{ok, M, B} = compile:file(\"test/mesh/mesh_node\", [binary]), " <>
           "code:load_binary(M, \"mesh_node\", B), M:main()."
  @ask_ms 60_000

  defstruct [:name, :kind, :space, :ip, :agent, :program, up: false, stopped: false]

  def main([seconds, seed, prefix, tenon, handlers | releases]) do
    seed = String.to_integer(seed)
    :rand.seed(:exsss, {seed, 1, 2})
    IO.puts("mesh of OTP #{Enum.join(releases, ", ")} and 3 C nodes, seed #{seed}, #{seconds} s")
    config = %{prefix: prefix, tenon: tenon, handlers: handlers}
    kinds = Enum.map(releases, &{:beam, &1}) ++ [:c, :c, :c]

    mesh =
      for {kind, i} <- Enum.with_index(kinds, 1), into: %{} do
        ip = "10.77.0.#{i}"
        {i, %Mesh{name: :"n#{i}@#{ip}", kind: kind, space: "#{prefix}.#{i}", ip: ip}}
      end

    mesh = Enum.reduce(Map.keys(mesh), mesh, &start(&2, config, &1))
    agree!(mesh, "before")
    until = now() + String.to_integer(seconds) * 1_000
    {mesh, parted} = disturb(mesh, config, [], until)
    mesh = heal(mesh, config, parted)
    agree!(mesh, "after")
    Enum.each(Map.keys(mesh), &kill(mesh, &1))
    IO.puts("mesh: passed")
  end

  # ---- starting and stopping --------------------------------------------

  defp start(mesh, config, i) do
    node = mesh[i]
    agent = open(node, agent_command(node))
    "@ready" = line(agent, 60_000)
    node = %{node | agent: agent, up: true, stopped: false}
    node = if node.kind == :c, do: start_c(node, config, mesh), else: node
    if node.kind != :c, do: :ok = ask(node, :join, [has_pg?(mesh, node)])
    connect(mesh, node)
    Map.put(mesh, i, node)
  end

  # The pg scope of OTP 25 dies of what OTP 29 says to it.
  defp has_pg?(mesh, node) do
    kinds = mesh |> Map.values() |> Enum.map(& &1.kind)
    node.kind != {:beam, "25"} or {:beam, "29"} not in kinds
  end

  # Whoever starts a BEAM node has it connect to the others, as a discovery
  # library would; a C node has --connect.
  defp connect(_mesh, %{kind: :c}), do: :ok
  defp connect(mesh, node), do: ask(node, :connect, [names(mesh)])

  defp names(mesh), do: mesh |> Map.values() |> Enum.map(& &1.name)

  defp agent_command(%{kind: :c} = node) do
    [alive, _] = node.name |> to_string() |> String.split("@")
    ["erl", "-hidden", "-name", "#{alive}_beside@#{node.ip}"] ++ erl_args()
  end

  defp agent_command(%{kind: {:beam, release}} = node) do
    ["test/roots", "run", release, "--", "erl", "-name", to_string(node.name)] ++ erl_args()
  end

  defp erl_args do
    ~w(-noinput -boot no_dot_erlang -setcookie #{@cookie} -kernel net_ticktime #{@ticktime}) ++
      ~w(-kernel net_setuptime 3 -kernel logger_level error -eval) ++ [@agent]
  end

  defp start_c(node, config, mesh) do
    args =
      ["run", "--name", to_string(node.name), "--cookie", @cookie, "--ticktime", "#{@ticktime}"] ++
        ["--connect-timeout", "3000", "--load", config.handlers] ++
        Enum.flat_map(names(mesh) -- [node.name], &["--connect", to_string(&1)])

    program = open(node, [config.tenon | args])
    await_ready(program)
    %{node | program: program}
  end

  defp await_ready(program) do
    case line(program, 60_000) do
      nil -> raise "a C node did not get ready"
      text -> if not String.contains?(text, "event=ready"), do: await_ready(program)
    end
  end

  # A program in the node's namespace.
  defp open(node, command) do
    port =
      Port.open({:spawn_executable, ~c"/usr/bin/env"}, [
        :binary,
        :exit_status,
        :stderr_to_stdout,
        {:line, 65_536},
        {:args, ["ip", "netns", "exec", node.space | command]}
      ])

    port
  end

  defp kill(mesh, i) do
    node = mesh[i]
    signal(node, "KILL")
    for port <- [node.agent, node.program], port != nil, do: close(port)
    await_forgotten(node, now() + @ask_ms)
    Map.put(mesh, i, %{node | agent: nil, program: nil, up: false, stopped: false})
  end

  # Its name is free for the next one when the epmd of its namespace has seen it go.
  defp await_forgotten(node, deadline) do
    args = ["netns", "exec", node.space, "epmd", "-names"]
    {names, _status} = System.cmd("ip", args, stderr_to_stdout: true)

    if String.contains?(names, "name n") do
      if now() > deadline, do: raise("epmd keeps the names of a killed node: #{names}")
      Process.sleep(20)
      await_forgotten(node, deadline)
    end
  end

  defp close(port) do
    Port.close(port)
    flush(port)
  rescue
    ArgumentError -> :ok
  end

  defp flush(port) do
    receive do
      {^port, _} -> flush(port)
    after
      0 -> :ok
    end
  end

  # All of the namespace but its epmd, which goes when the test is over.
  defp signal(node, signal) do
    script =
      "for p in $(ip netns pids #{node.space}); do " <>
        "case $(cat /proc/$p/comm) in epmd) ;; *) kill -#{signal} $p ;; esac; done"

    System.cmd("sh", ["-c", script], stderr_to_stdout: true)
  end

  # ---- asking -----------------------------------------------------------

  defp ask(node, function, args) do
    id = to_string(:erlang.unique_integer([:positive]))
    text = Base.encode64(:erlang.term_to_binary({function, args}))
    Port.command(node.agent, "#{id} #{text}\n")
    await_answer(node.agent, "@#{id} ", now() + @ask_ms)
  end

  # Answers of earlier questions may come late.
  defp await_answer(port, prefix, deadline) do
    case line(port, max(deadline - now(), 0)) do
      nil ->
        :no_answer

      text ->
        if String.starts_with?(text, prefix),
          do:
            text
            |> String.replace_prefix(prefix, "")
            |> Base.decode64!()
            |> :erlang.binary_to_term(),
          else: await_answer(port, prefix, deadline)
    end
  end

  defp line(port, ms) do
    receive do
      {^port, {:data, {_, text}}} -> text
      {^port, {:exit_status, _}} -> nil
    after
      ms -> nil
    end
  end

  defp target(%{kind: :c} = node), do: node.name
  defp target(_node), do: :here

  # ---- disturbing -------------------------------------------------------

  defp disturb(mesh, config, parted, until) do
    if now() >= until do
      {mesh, parted}
    else
      {mesh, parted} = disturb_once(mesh, config, parted, :rand.uniform(100))
      Process.sleep(:rand.uniform(800))
      disturb(mesh, config, parted, until)
    end
  end

  defp disturb_once(mesh, config, parted, dice) do
    i = Enum.random(Map.keys(mesh))
    node = mesh[i]

    cond do
      not node.up ->
        say("start #{node.name}")
        {start(mesh, config, i), parted}

      node.stopped ->
        say("continue #{node.name}")
        signal(node, "CONT")
        {Map.put(mesh, i, %{node | stopped: false}), parted}

      dice <= 8 ->
        say("kill #{node.name}")
        {kill(mesh, i), parted}

      dice <= 18 ->
        say("stop #{node.name}")
        signal(node, "STOP")
        {Map.put(mesh, i, %{node | stopped: true}), parted}

      dice <= 26 and parted == [] ->
        pairs = part(mesh)
        say("part #{inspect(pairs)}")
        {mesh, pairs}

      dice <= 40 and parted != [] ->
        say("join")
        unpart(mesh, parted)
        {mesh, []}

      true ->
        change_names(node)
        {mesh, parted}
    end
  end

  # Some nodes cannot reach the others: what is sent there is thrown away.
  defp part(mesh) do
    {some, rest} =
      mesh |> Map.keys() |> Enum.shuffle() |> Enum.split(:rand.uniform(map_size(mesh) - 1))

    pairs = for a <- some, b <- rest, do: {a, b}
    for {a, b} <- pairs, {x, y} <- [{a, b}, {b, a}], do: route(mesh, "add", x, y)
    pairs
  end

  defp unpart(mesh, pairs) do
    for {a, b} <- pairs, {x, y} <- [{a, b}, {b, a}], do: route(mesh, "del", x, y)
  end

  defp route(mesh, verb, a, b) do
    args = ["-n", mesh[a].space, "route", verb, "blackhole", "#{mesh[b].ip}/32"]
    {_, 0} = System.cmd("ip", args, stderr_to_stdout: true)
  end

  # Names that several nodes want, and names of one node; nobody waits for the
  # answer, which can take as long as a stopped node is not given up.
  defp change_names(node) do
    name = Enum.random([{:shared, :rand.uniform(4)}, {node.name, :rand.uniform(4)}])
    function = Enum.random([:hold, :hold, :release])
    text = Base.encode64(:erlang.term_to_binary({function, [target(node), name]}))
    Port.command(node.agent, "0 #{text}\n")
  end

  # ---- the end ----------------------------------------------------------

  defp heal(mesh, config, parted) do
    say("heal")
    unpart(mesh, parted)

    for {i, node} <- mesh, into: %{} do
      signal(node, "CONT")
      {i, %{node | stopped: false}}
    end
    |> restart(config)
  end

  defp restart(mesh, config) do
    Enum.reduce(Map.keys(mesh), mesh, fn i, mesh ->
      if mesh[i].up, do: mesh, else: start(mesh, config, i)
    end)
  end

  # Every check is a key of the states: all nodes that have it have the same.
  defp agree!(mesh, moment) do
    began = now()
    agree!(mesh, moment, began, began + @settle_ms)
  end

  defp agree!(mesh, moment, began, deadline) do
    for {_, node} <- mesh, do: connect(mesh, node)
    states = for {_, node} <- mesh, do: {node.name, ask(node, :state, [target(node)])}

    case differences(mesh, states) do
      [] ->
        {_, %{names: names}} = hd(states)
        say("#{moment}: all agree after #{now() - began} ms, with #{length(names)} names")

      different ->
        if now() > deadline do
          IO.inspect(states, limit: :infinity, label: "states")
          raise "#{moment}: the nodes do not agree on #{inspect(different)}"
        end

        Process.sleep(500)
        agree!(mesh, moment, began, deadline)
    end
  end

  defp differences(mesh, states) do
    all = mesh |> names() |> Enum.sort()

    if Enum.all?(states, fn {_, state} -> is_map(state) end) do
      wrong = for {_, state} <- states, key <- [:nodes, :known], state[key] != all, do: key
      Enum.uniq(wrong ++ Enum.filter([:names, :pg], &differ?(states, &1)))
    else
      [:answers]
    end
  end

  defp differ?(states, key) do
    seen = for {_, state} <- states, is_map_key(state, key), do: state[key]
    seen |> Enum.uniq() |> length() > 1
  end

  defp say(text), do: IO.puts("mesh: #{text}")
  defp now, do: System.monotonic_time(:millisecond)
end

Mesh.main(System.argv())
