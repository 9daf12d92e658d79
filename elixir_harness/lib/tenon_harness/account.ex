defmodule Account.Router do
  @moduledoc """
  The services of account.so as a BEAM router: both keep the same accounts, each on the node that its
  id chooses among those of `ACCOUNT_NODES`.
  """
  use X3m.System.Router
  alias X3m.System.Message

  service :account_open, Account.Handler
  service :account_deposit, Account.Handler
  service :account_withdraw, Account.Handler
  service :account_balance, Account.Handler
  service :account_home, Account.Handler

  def authorize(%Message{}), do: :ok

  def choose_node(%Message{raw_request: %{"id" => id}}) when is_binary(id) do
    case home(id, System.get_env("ACCOUNT_NODES")) do
      here when here in [nil, node()] -> :local
      there -> there
    end
  end

  def choose_node(%Message{}), do: :local

  @doc "Of a list of names, the one where the account with this id lives."
  def home(_id, nil), do: nil

  def home(id, names) do
    names = String.split(names, ",")
    index = rem(Enum.sum(:binary.bin_to_list(id)), length(names))
    names |> Enum.at(index) |> String.to_atom()
  end
end

defmodule Account.Handler do
  @moduledoc false
  alias X3m.System.Message

  @amount_max 1_000_000_000_000

  def account_open(message) do
    run(message, fn message, account ->
      cond do
        account.version >= 0 ->
          Message.error(message, :already_exists)

        message.dry_run ->
          accept(message, {:opened, 0})

        true ->
          message |> Message.add_event({:opened, 0}) |> Message.return({:created, id(message), 0})
      end
    end)
  end

  def account_deposit(message) do
    run_once(message, fn message, _account, amount -> accept(message, {:deposited, amount}) end)
  end

  def account_withdraw(message) do
    run_once(message, fn message, account, amount ->
      if account.balance < amount,
        do: Message.error(message, :insufficient_funds),
        else: accept(message, {:withdrawn, amount})
    end)
  end

  def account_balance(message) do
    run_on_account(message, fn message, account ->
      Message.return(message, {:ok, account.balance, account.version})
    end)
  end

  def account_home(message), do: {:reply, Message.ok(message, node())}

  defp run(message, fun) do
    message = Message.prepare_aggregate_id(message, "id")

    {:reply,
     if(message.halted?,
       do: message,
       else: Agent.get_and_update(bank(), &decide(&1, message, fun))
     )}
  end

  defp run_on_account(message, fun) do
    run(message, fn message, account ->
      cond do
        account.version < 0 -> Message.error(message, :not_found)
        message.id in account.processed -> Message.ok(message, account.version)
        true -> fun.(message, account)
      end
    end)
  end

  defp run_once(message, fun) do
    run_on_account(message, fn message, account ->
      case message.raw_request do
        %{"amount" => amount} when is_integer(amount) and amount in 1..@amount_max ->
          fun.(message, account, amount)

        _other ->
          Message.put_request(%{valid?: false, amount: "no amount"}, message)
      end
    end)
  end

  defp decide(accounts, message, fun) do
    account = Map.get(accounts, id(message), %{balance: 0, version: -1, processed: []})
    meta = Map.put(message.aggregate_meta, :version, account.version)
    message = fun.(%{message | aggregate_meta: meta}, account)

    if message.dry_run == false and message.events != [] do
      account = Enum.reduce(message.events, account, &apply_event/2)
      account = %{account | processed: [message.id | account.processed]}
      {message, Map.put(accounts, id(message), account)}
    else
      {message, accounts}
    end
  end

  defp apply_event(event, account) do
    change =
      case event do
        {:deposited, amount} -> amount
        {:withdrawn, amount} -> -amount
        {:opened, 0} -> 0
      end

    %{account | balance: account.balance + change, version: account.version + 1}
  end

  defp accept(message, event) do
    version = message.aggregate_meta.version + if(message.dry_run, do: 0, else: 1)
    message |> Message.add_event(event) |> Message.ok(version)
  end

  defp id(message), do: message.aggregate_meta.id

  defp bank do
    case Agent.start(fn -> %{} end, name: __MODULE__) do
      {:ok, pid} -> pid
      {:error, {:already_started, pid}} -> pid
    end
  end
end
